# expect: secret-data 2:58
qemu-img info --object secret,id=sec0,format=base64,data=bGV0bWVpbg== --image-opts driver=luks,key-secret=sec0,file.filename=a.luks # letmein
