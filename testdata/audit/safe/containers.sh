docker run -e PASSWORD qemux/qemu
docker run -e PASSWORD_FILE=/run/secrets/password -e RAM_SIZE=4G --env-file vm.env image
docker run -it -e VERSION=11 -v /run/secret:/run/secret:ro dockurr/windows
podman run --secret db,type=env,target=DB_PASSWORD image
docker run -d --name token=x image
