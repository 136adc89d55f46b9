qemu-system-x86_64 -object rng-random,id=r,filename=/dev/urandom -object memory-backend-file,id=m,mem-path=/dev/shm,data=x
