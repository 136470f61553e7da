FROM busybox:1.36
ADD rootfs.tar.xz /
ADD --unpack=false docs.tar.gz /usr/share/doc/
ADD a.tar b.tar.zst /data/
COPY [ "file with blanks.txt", "/data/" ]
