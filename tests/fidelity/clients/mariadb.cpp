// MariaDB's client library.
#include "client.h"

#include <mysql.h>

namespace clients {
namespace {

class mariadb_client final : public client {
public:
    mariadb_client(std::string const& where, int limit) {
        if (!connection_) throw failure("mysql_init");
        unsigned const seconds = unsigned(limit);
        if (limit && mysql_options(connection_.get(), MYSQL_OPT_READ_TIMEOUT, &seconds) != 0) fail();
        auto const [host, port] = host_and_port(where);
        if (!mysql_real_connect(connection_.get(), host.c_str(), "tester", nullptr, nullptr, unsigned(port), nullptr,
                                0))
            fail();
    }

    void operation(double wait) override {
        if (mysql_query(connection_.get(), ("select sleep(" + in_seconds(wait) + "), 'waited'").c_str()) != 0) fail();
        owned<MYSQL_RES, mysql_free_result> const rows(mysql_store_result(connection_.get()));
        if (!rows) fail();
        MYSQL_ROW const row = mysql_fetch_row(rows.get());
        expect_answer(row && row[0] && row[1] ? std::string(row[0]) + " " + row[1] : "nothing", "0 waited");
    }

private:
    [[noreturn]] void fail() { throw failure(mysql_error(connection_.get())); }

    owned<MYSQL, mysql_close> connection_{mysql_init(nullptr)};
};

known_kind<mariadb_client> const mariadb{"mariadb"};

} // namespace
} // namespace clients
