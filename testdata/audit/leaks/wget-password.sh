# expect: download-password 2:27
wget --user=me --password=hunter2 https://host/secret
