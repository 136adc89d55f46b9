date +%H:%M; rsync -a host:/a/b /c; docker run -p 80:80 -e TOKEN image:tag
