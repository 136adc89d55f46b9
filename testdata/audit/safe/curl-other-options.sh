curl -o /tmp/a:b -A me:agent -T up:load -e https://a:80/ --cert client.pem --cert 'pkcs11:token=a;object=b' -b jar.txt https://host:8443/a@b
