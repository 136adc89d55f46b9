curl -K - https://host/ <<<"user = me:$PASSWORD"
printf 'header = "Authorization: Bearer %s"' "$TOKEN" | curl --config - https://host/
