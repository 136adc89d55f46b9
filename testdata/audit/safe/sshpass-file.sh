sshpass -f /run/password ssh -p 2222 root@guest
sshpass -e ssh -p 2222 root@guest
