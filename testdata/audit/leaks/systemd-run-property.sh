# expect: set-credential 2:45
systemd-run --property=SetCredential=mycred:letmein true
