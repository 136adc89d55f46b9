systemd-creds encrypt --name=api.token token.txt api.token.cred
systemd-run -p SetCredentialEncrypted=api.token:AAAA -p LoadCredential=b:/run/b true
