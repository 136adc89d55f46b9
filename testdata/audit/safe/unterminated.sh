cat <<NEVER
data
