grep -q rootpw ks.cfg && sed -i /rootpw/d ks.cfg
local rootpw pw
read -r rootpw
git clone https://host/x/mkosi docker
grep -r d-i passwd/root-password password
