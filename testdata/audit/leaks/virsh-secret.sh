# expect: libvirt-secret 2:61
virsh secret-set-value 55806c7d-8e93-456f-829b-607d8c198367 bGV0bWVpbg==letmein
