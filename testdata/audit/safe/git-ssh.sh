git clone ssh://git@host:22/a/b.git && git clone git@host:a/b.git && git clone https://me@host/a.git
