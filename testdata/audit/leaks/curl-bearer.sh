# expect: http-header 3:26
TOKEN=$(vault read hunter2)
curl -sH "Authorization: Bearer $TOKEN" https://host/secret
