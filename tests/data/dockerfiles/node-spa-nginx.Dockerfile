# build holds the toolchain
FROM node:20 as build
WORKDIR /app
COPY package*.json ./
RUN npm ci
COPY . .
ARG API_URL=/api
ENV VITE_API_URL=${API_URL}
RUN npm run build

FROM nginx:1.27-alpine
COPY --from=build /app/dist /usr/share/nginx/html
COPY <<'EOF' /etc/nginx/conf.d/default.conf
server {
    listen 8080;
    root /usr/share/nginx/html;
    location / { try_files $uri /index.html; }
}
EOF
EXPOSE 8080/tcp
