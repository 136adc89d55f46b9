# expect: http-header 2:47
curl https://host/secret --header 'X-Api-Key: hunter2'
