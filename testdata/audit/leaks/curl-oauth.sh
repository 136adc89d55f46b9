# expect: download-password 2:22
curl --oauth2-bearer hunter2 https://host/secret
