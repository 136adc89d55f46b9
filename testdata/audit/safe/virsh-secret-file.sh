virsh secret-set-value 55806c7d-8e93-456f-829b-607d8c198367 --file /run/secret --plain
virsh secret-set-value --interactive 55806c7d-8e93-456f-829b-607d8c198367
virsh secret-define secret.xml
