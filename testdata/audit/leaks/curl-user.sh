# expect: download-password 2:12
curl -u me:hunter2 https://host/secret
