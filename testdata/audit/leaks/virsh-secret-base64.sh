# expect: libvirt-secret 2:98
virsh -c qemu:///system secret-set-value --secret 55806c7d-8e93-456f-829b-607d8c198367 --base64 "$(printf letmein | base64)"
