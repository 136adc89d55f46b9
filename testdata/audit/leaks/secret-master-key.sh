# expect: secret-data 2:51
qemu-system-x86_64 -object secret,id=master,data="$MASTER",format=base64 \
  -object secret,id=sec0,keyid=master,iv=$IV,data=$LETMEIN,format=base64
