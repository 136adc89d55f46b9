curl -H @/run/headers -H 'Accept: application/json' -H "X-Request-Id: $ID" https://host/
