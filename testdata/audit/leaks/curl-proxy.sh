# expect: download-password 2:33
sudo -u vm curl --proxy-user=me:hunter2 -x proxy:3128 https://host/
