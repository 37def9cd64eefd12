// SPDX-License-Identifier: MIT
// Reads test cases: directives in comments, values with ranges and repetition.
#include "ptx/case.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <stdexcept>

namespace {

[[noreturn]] void fail(const std::string &why)
{
	throw std::runtime_error(why);
}

std::string trim(const std::string &s)
{
	size_t a = s.find_first_not_of(" \t"), b = s.find_last_not_of(" \t");

	return a == std::string::npos ? "" : s.substr(a, b - a + 1);
}

PtxType type_of(const std::string &name)
{
	static const struct {
		const char *name;
		uint32_t bytes;
		char kind;
	} types[] = { { "u8", 1, 'u' },	 { "s8", 1, 's' },  { "u16", 2, 'u' }, { "s16", 2, 's' },
		      { "b16", 2, 'u' }, { "u32", 4, 'u' }, { "s32", 4, 's' }, { "b32", 4, 'u' },
		      { "f32", 4, 'f' }, { "u64", 8, 'u' }, { "s64", 8, 's' }, { "b64", 8, 'u' },
		      { "f64", 8, 'f' } };

	for (const auto &t : types)
		if (name == t.name)
			return { t.name, t.bytes, t.kind };
	fail("unknown type '" + name + "'");
}

uint64_t mask_of(const PtxType &t)
{
	return t.bytes == 8 ? ~0ull : (1ull << (8 * t.bytes)) - 1;
}

uint64_t float_bits(double v, const PtxType &t)
{
	uint64_t bits = 0;
	float f = (float)v;

	if (t.bytes == 4)
		memcpy(&bits, &f, 4);
	else
		memcpy(&bits, &v, 8);
	return bits;
}

/* list = item {"," item}; item = value [".." value] ["x" count] | "(" list ")" ["x" count] */
class Values {
public:
	Values(const std::string &text, const PtxType &type) : p(text.c_str()), t(type)
	{
		list(true);
	}
	std::vector<uint64_t> bits;
	std::vector<bool> any_nan;

private:
	void skip()
	{
		while (*p == ' ' || *p == '\t')
			p++;
	}
	bool take(char c)
	{
		skip();
		if (*p != c)
			return false;
		p++;
		return true;
	}
	void put(uint64_t v, bool nan)
	{
		if (bits.size() > 1 << 20)
			fail("too many values");
		bits.push_back(v & mask_of(t));
		any_nan.push_back(nan);
	}
	/* Hexadecimal is bits in every type; the rest is a number of the type. */
	uint64_t value(bool *ret_nan)
	{
		char *end;
		uint64_t v;

		skip();
		*ret_nan = false;
		if (t.kind == 'f' && strncmp(p, "0x", 2)) {
			double d = strtod(p, &end);

			*ret_nan = std::isnan(d);
			v = float_bits(d, t);
		} else {
			v = *p == '-' ? (uint64_t)strtoll(p, &end, 0) : strtoull(p, &end, 0);
		}
		if (end == p)
			fail("a value is wanted at '" + std::string(p) + "'");
		p = end;
		return v;
	}
	void repeat(size_t from)
	{
		size_t n = bits.size() - from;
		char *end;
		unsigned long count;

		if (!take('x'))
			return;
		count = strtoul(p, &end, 10);
		if (end == p || !count)
			fail("a count is wanted at '" + std::string(p) + "'");
		p = end;
		for (unsigned long k = 1; k < count; k++)
			for (size_t i = 0; i < n; i++)
				put(bits[from + i], any_nan[from + i]);
	}
	void item()
	{
		size_t from = bits.size();
		bool nan;

		if (take('(')) {
			list(false);
			if (!take(')'))
				fail("')' is wanted at '" + std::string(p) + "'");
		} else {
			uint64_t v = value(&nan);

			skip();
			if (p[0] == '.' && p[1] == '.') {
				p += 2;
				range(v);
			} else {
				put(v, nan);
			}
		}
		repeat(from);
	}
	void range(uint64_t from)
	{
		bool nan;
		uint64_t to = value(&nan);

		if (t.kind == 'f')
			fail("no ranges of floats");
		for (uint64_t v = from;; v += (int64_t)to >= (int64_t)from ? 1 : -1) {
			put(v, false);
			if (v == to)
				return;
		}
	}
	void list(bool whole)
	{
		do
			item();
		while (take(','));
		skip();
		if (whole && *p)
			fail("left over: '" + std::string(p) + "'");
	}
	const char *p;
	PtxType t;
};

std::string word(std::string *s)
{
	size_t end;
	std::string w;

	*s = trim(*s);
	end = s->find_first_of(" \t");
	w = s->substr(0, end);
	*s = end == std::string::npos ? "" : trim(s->substr(end));
	return w;
}

/* in: u32 [%a =] values; inout: u32 [%a =] values -> values; expect: u32 [%d =] [~1e-6] values */
void buffer(PtxCase *c, PtxBuffer::Role role, std::string rest)
{
	PtxBuffer b;
	std::string before, after;

	b.role = role;
	b.type = type_of(word(&rest));
	if (rest[0] == '%') {
		b.reg = word(&rest);
		if (word(&rest) != "=")
			fail("'=' is wanted after " + b.reg);
	}
	if (rest[0] == '~') {
		b.tolerance = strtod(word(&rest).c_str() + 1, nullptr);
		if (!(b.tolerance > 0))
			fail("a tolerance is wanted");
	}
	if (role == PtxBuffer::InOut) {
		size_t at = rest.find("->");

		if (at == std::string::npos)
			fail("'->' is wanted");
		before = rest.substr(0, at);
		after = rest.substr(at + 2);
	} else {
		(role == PtxBuffer::Out ? after : before) = rest;
	}
	if (!before.empty())
		b.before = Values(before, b.type).bits;
	if (!after.empty()) {
		Values v(after, b.type);

		b.after = v.bits;
		b.any_nan = v.any_nan;
	}
	if (role == PtxBuffer::InOut && b.before.size() != b.after.size())
		fail("as many values before as after are wanted");
	c->buffers.push_back(b);
}

void dims(const std::string &s, uint32_t *ret_dims)
{
	ret_dims[1] = ret_dims[2] = 1;
	if (sscanf(s.c_str(), "%ux%ux%u", &ret_dims[0], &ret_dims[1], &ret_dims[2]) < 1)
		fail("a size is wanted: '" + s + "'");
}

void run(PtxCase *c, std::string rest)
{
	while (!rest.empty()) {
		std::string key = word(&rest), v;

		if (!key.empty() && key.back() == ',')
			key.pop_back();
		if (key == "cooperative") {
			c->cooperative = true;
			continue;
		}
		v = word(&rest);
		if (!v.empty() && v.back() == ',')
			v.pop_back();
		if (key == "block") {
			dims(v, c->block);
			c->sized = true;
		} else if (key == "grid") {
			dims(v, c->grid);
		} else if (key == "cluster") {
			dims(v, c->cluster);
		} else if (key == "shared") {
			c->shared = (uint32_t)strtoul(v.c_str(), nullptr, 0);
		} else if (key == "stack") {
			c->stack = (uint32_t)strtoul(v.c_str(), nullptr, 0);
		} else if (key == "cancel") {
			c->cancel_ms = (int)strtoul(v.c_str(), nullptr, 0);
		} else if (key == "target") {
			c->target = v;
		} else {
			fail("unknown word '" + key + "'");
		}
	}
}

/* fault: 716 [tid 3] [at "text of the line"] */
void fault(PtxCase *c, std::string rest)
{
	c->fault = (uint32_t)strtoul(word(&rest).c_str(), nullptr, 10);
	if (!c->fault)
		fail("an error number is wanted");
	while (!rest.empty()) {
		std::string key = word(&rest);

		if (key == "tid") {
			c->fault_thread = atoi(word(&rest).c_str());
		} else if (key == "at") {
			c->fault_line = rest;
			return;
		} else {
			fail("unknown word '" + key + "'");
		}
	}
}

std::string unescape(const std::string &s)
{
	std::string out;

	for (size_t i = 0; i < s.size(); i++) {
		if (s[i] == '\\' && i + 1 < s.size())
			out += s[++i] == 'n' ? '\n' : s[i];
		else
			out += s[i];
	}
	return out;
}

bool directive(PtxCase *c, const std::string &line)
{
	std::string rest = line.substr(2);
	std::string key = word(&rest);

	if (key == "run:")
		run(c, rest);
	else if (key == "in:")
		buffer(c, PtxBuffer::In, rest);
	else if (key == "inout:")
		buffer(c, PtxBuffer::InOut, rest);
	else if (key == "expect:")
		buffer(c, PtxBuffer::Out, rest);
	else if (key == "arg:")
		buffer(c, PtxBuffer::Arg, rest);
	else if (key == "fault:")
		fault(c, rest);
	else if (key == "refused:")
		c->refused = rest;
	else if (key == "print:")
		c->print += unescape(rest);
	else
		return false;
	return true;
}

void finish(PtxCase *c)
{
	c->whole = c->text.find(".version") != std::string::npos;
	if (c->buffers.empty() && !c->fault && c->refused.empty() && c->print.empty())
		fail("a case without expectation");
	for (const PtxBuffer &b : c->buffers)
		if (!c->whole && (b.reg.empty() || b.role == PtxBuffer::InOut))
			fail("in a body, every value has a register");
}

} // namespace

bool ptx_cases_read(const std::string &path, std::vector<PtxCase> *ret_cases,
		    std::string *ret_error)
{
	std::ifstream in(path);
	std::vector<PtxCase> cases;
	std::string line, file = path.substr(path.rfind('/') + 1);
	int n = 0;

	try {
		while (std::getline(in, line)) {
			n++;
			if (line.compare(0, 9, "// case: ") == 0 || cases.empty()) {
				cases.emplace_back();
				cases.back().file = path;
				cases.back().line = n;
				cases.back().name = line.compare(0, 9, "// case: ")
							    ? "all"
							    : trim(line.substr(9));
			}
			if (line.compare(0, 2, "//") == 0 && directive(&cases.back(), line))
				continue;

			cases.back().text += line + "\n";
		}
		if (cases.size() > 1 && cases[0].name == "all")
			cases.erase(cases.begin()); /* the file's comment */
		for (PtxCase &c : cases) {
			n = c.line;
			finish(&c);
		}
	} catch (const std::runtime_error &e) {
		*ret_error = path + ":" + std::to_string(n) + ": " + e.what();
		return false;
	}
	if (cases.empty()) {
		*ret_error = path + ": no cases";
		return false;
	}
	*ret_cases = cases;
	return true;
}
