qemu-system-x86_64 -drive file=nbd://host:10809/export@1 -blockdev '{"driver":"nbd","server":{"type":"unix","path":"/run/nbd"},"node-name":"a"}'
