FROM busybox:1.36
RUN <<-EOF
	echo one > /one
	echo two > /two
EOF
RUN <<EOF sh -eux
cat /one /two > /three
EOF
RUN <<'SCRIPT'
#!/bin/sh
echo "from $0" > /four
SCRIPT
RUN cat > /five <<A && cat >> /five <<B
a
A
b
B
ARG NAME=world
COPY <<hello.txt <<'raw.txt' /texts/
Hello ${NAME}, $$5 and \$NAME
hello.txt
Hello ${NAME}
raw.txt
COPY --chmod=0755 <<EOF /usr/local/bin/entry
#!/bin/sh
exec "\$@"
EOF
ENTRYPOINT ["entry"]
CMD ["cat", "/texts/hello.txt"]
