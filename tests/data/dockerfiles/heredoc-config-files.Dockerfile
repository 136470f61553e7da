FROM nginx:1.27
ARG PORT=8080
COPY <<"nginx.conf" <<mime /etc/nginx/
events {}
http { include mime; server { listen 8080; } }
nginx.conf
types { text/html html; }
# port ${PORT}
mime
RUN 3<<ONE 4<<TWO cat /dev/fd/3 /dev/fd/4 > /etc/nginx/both
1
ONE
2
TWO
EXPOSE ${PORT}
