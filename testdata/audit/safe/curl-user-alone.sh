curl -u me https://host/
curl -u : --negotiate https://host/
curl --user "$USER" https://host/
