# waits: ruby3.1
# package: ruby
# status: 6
exec ruby --disable-gems "$JOBS/ruby.rb"
