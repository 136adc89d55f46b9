qemu-system-x86_64 -object secret,id=master,file=key.b64,format=base64 \
  -object secret,id=sec0,keyid=master,format=base64,data=$SECRET,iv=$(<iv.b64)
