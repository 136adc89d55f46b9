# expect: set-credential 4:25
cat >/etc/systemd/system/a.service <<EOF
[Service]
SetCredential=api.token:letmein
EOF
