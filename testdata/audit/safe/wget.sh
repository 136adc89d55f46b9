wget --config=/run/wgetrc --user=me --ask-password https://host/?user=a:b@c
