# expect: download-password 2:35
echo "the answer is $(curl -su me:hunter2 https://host/)"
