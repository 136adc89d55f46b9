# expect: download-password 2:15
curl -fsSLume:hunter2 https://host/secret
