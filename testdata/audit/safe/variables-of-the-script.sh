TOKEN=letmein
export PASSWORD=hunter2
curl --config <(printf 'user = "me:%s"' "$PASSWORD") https://host/
