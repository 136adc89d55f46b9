# expect: container-environment 8:24
# expect: container-environment 9:45
# expect: container-environment 10:28
# expect: container-environment 11:25
# expect: container-environment 12:28
# expect: container-environment 13:32
# expect: container-environment 14:44
docker run -e PASSWORD=hunter2 qemux/qemu
sudo podman run -it --rm --env DB_PASSWORD="$PW" image
docker run --env=API_TOKEN=letmein image
docker run -itePASSWORD=hunter2 dockurr/windows
docker exec -ite PASSWORD='hunter2' vm sh
docker build --build-arg TOKEN=letmein .
kubectl run vm --image=x --env="SECRET_KEY=letmein"
