curl --netrc-file /run/netrc -fsSL https://host/
curl -n https://host/
