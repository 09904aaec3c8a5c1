# waits: php8.2
# package: php-cli
# status: 6
exec php -n "$JOBS/waiting.php"
