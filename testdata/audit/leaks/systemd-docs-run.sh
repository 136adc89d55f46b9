# expect: set-credential 2:37
systemd-run -p SetCredential=mycred:letmein -P --wait systemd-creds cat mycred
