# expect: url-password 2:37
git clone --depth 1 "https://oauth2:${HUNTER2}@git.example/repo.git"
