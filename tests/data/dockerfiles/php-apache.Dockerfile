FROM composer:2 AS vendor
WORKDIR /app
COPY composer.* ./
RUN composer install --no-dev --no-scripts --ignore-platform-reqs
FROM php:8.3-apache
RUN docker-php-ext-install pdo_mysql opcache && a2enmod rewrite
ENV APACHE_DOCUMENT_ROOT=/var/www/html/public
RUN sed -ri -e "s!/var/www/html!${APACHE_DOCUMENT_ROOT}!g" /etc/apache2/sites-available/*.conf
COPY --chown=www-data:www-data . /var/www/html
COPY --from=vendor --chown=www-data /app/vendor /var/www/html/vendor
