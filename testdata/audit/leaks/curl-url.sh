# expect: url-password 2:33
/usr/bin/curl -o out https://me:hunter2@host/secret
