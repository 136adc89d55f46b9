# expect: download-password 2:29
curl --silent --user "$USER:$HUNTER2" https://host/secret
