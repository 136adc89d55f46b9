# expect: set-credential 2:36
systemd-run -pSetCredential=mycred:letmein true
