# expect: download-password 2:24
curl --cert client.pem:hunter2 https://host/secret
