# expect: sshpass 2:12
sshpass -p hunter2 ssh root@guest true
