url=${1#*://*:*@}
case $url in *:*@*) echo bad ;; esac
[[ $url =~ ^https?://[^:]+ ]] && sed -e 's|://[^@]*@|://|' <<<"$url"
