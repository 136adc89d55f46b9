# expect: http-header 2:34
wget -q --header "PRIVATE-TOKEN: hunter2" https://host/secret
