virt-customize -a a.qcow2 --root-password file:/run/password --password me:locked --ssh-inject root:file:key.pub --root-password random
