-- What is typed at the prompt: tokens, chunks that keep their locals, when Enter runs it, colours.
local moth = require "moth"
local chunk = require "moth.chunk"
local edit = require "moth.edit"
local highlight = require "moth.highlight"
local lexer = require "moth.lexer"

local function texts(source)
    local found = {}
    for i, token in ipairs(lexer.tokens(source)) do
        found[i] = token.kind .. ":" .. token.text
    end
    return found
end

describe("lexer", function()
    it("cuts text into tokens", function()
        assert.same({ "keyword:local", "name:x_1", "op:=", "number:0x1p-3", "op:..", "string:'a\\'b'", "comment:-- c" },
            texts "local x_1 = 0x1p-3 .. 'a\\'b' -- c")
        assert.same({ "number:3", "op:..", "number:2" }, texts "3 .. 2")
        assert.same({ "number:1e+5", "op:-", "number:2" }, texts "1e+5-2")
        assert.same({ "op:::", "name:a", "op:::", "op:...", "op://", "op:~=" }, texts "::a:: ... // ~=")
        assert.same({ "string:[==[ a ]] \n ]==]", "comment:--[[ b\n]]", "name:c" },
            texts "[==[ a ]] \n ]==] --[[ b\n]] c")
    end)

    it("marks what does not end", function()
        local function last_is_open(source)
            local tokens = lexer.tokens(source)
            return tokens[#tokens].open == true
        end
        assert.is_true(last_is_open "'abc")
        assert.is_true(last_is_open "[[abc\nx")
        assert.is_true(last_is_open "--[==[ abc ]]")
        assert.is_false(last_is_open "'abc'")
        assert.is_false(last_is_open "-- abc")
        assert.is_false(last_is_open "'a\\z \n b'")
    end)

    it("covers every byte of any text once", function()
        -- A fixed pseudo-random walk over awkward pieces; positions must only grow.
        local pieces = { "'", '"', "[[", "]]", "--", "\\", "\n", "=", "[=[", "1e", ".5", "x", " ", "\255", "\0", "end" }
        local state = 7
        for _ = 1, 300 do
            local parts = {}
            for i = 1, 12 do
                state = (state * 1103515245 + 12345) % 2147483648
                parts[i] = pieces[state // 65536 % #pieces + 1]
            end
            local text, at = table.concat(parts), 1
            for _, token in ipairs(lexer.tokens(text)) do
                assert.is_true(token.start >= at and token.stop >= token.start)
                assert.is_nil(text:sub(at, token.start - 1):find "%S")
                at = token.stop + 1
            end
            assert.is_true(at <= #text + 1)
        end
    end)
end)

describe("chunk", function()
    local session

    before_each(function()
        session = chunk.session()
    end)

    local function run(text)
        local compiled, message = session:compile(text)
        if not compiled then
            error(message, 0)
        end
        return compiled.run()
    end

    it("shows what an expression gives, with or without =", function()
        assert.equal(3, run "1 + 2")
        assert.same({ 1, 2 }, { run "1, 2" })
        assert.equal(4, run "return 4")
    end)

    it("keeps top-level locals", function()
        run "local x, y <const> = 1, 2"
        run "local function f() x = x + 1 return x end"
        assert.equal(2, run "f()")
        assert.same({ 2, 2 }, { run "x, y" })
        assert.is_nil(rawget(_G, "x"))
        run "x = 10"
        assert.equal(11, run "f()")
        assert.is_nil(rawget(_G, "x"))
    end)

    it("keeps the locals that were set before an error", function()
        assert.has_error(function()
            run "local before = 5; error 'stop'; local after = 6"
        end)
        assert.equal(5, run "before")
        assert.is_nil(run "after")
    end)

    it("leaves inner locals alone", function()
        run "do local inner = 1 end for i = 1, 2 do local loop = i end if true then local branch = 1 end"
        run "local t = { f = function() local deep = 3 return deep end }"
        assert.equal(3, run "t.f()")
        assert.same({ "t" }, session:names())
    end)

    it("gives declarations without value nil, also those of before", function()
        run "local x = 1"
        run "local x"
        assert.is_nil(run "x")
        run "local a (function() end)()"
        assert.is_nil(run "a")
    end)

    it("lets a local start as the global of its name", function()
        run "local print = print"
        assert.equal(print, run "print")
        run "local tostring = function(x) return tostring end"
        assert.equal("function", type(run "tostring(1)"))
    end)

    it("closes a to-be-closed variable at the end of its chunk", function()
        run "closed = 0"
        run "local x <close> = setmetatable({}, { __close = function() closed = closed + 1 end })"
        assert.equal(1, run "closed")
        assert.is_nil(run "x")
        rawset(_G, "closed", nil)
    end)

    it("does not take the last result for a local", function()
        run "local _, second = 1, 2"
        assert.same({ "second" }, session:names())
        rawset(_G, "_", nil)
    end)

    it("keeps lines in messages and blames the right text", function()
        local _, message = pcall(run, "\n\nlocal q = nil + 1")
        assert.matches("^stdin:3: ", message)
        _, message = pcall(run, "1 +* 2")
        assert.equal("stdin:1: unexpected symbol near '*'", message)
        _, message = pcall(run, "foo bar")
        assert.equal("stdin:1: syntax error near 'bar'", message)
        _, message = pcall(run, "end")
        assert.matches("near 'end'", message)
    end)

    it("knows when text goes on", function()
        for _, text in ipairs { "x =", "1 +", "for i = 1, 2 do", "f(", "s = [[a", "if x then y() else", "function f(a",
            "layers.Dense {", "--[[", "x = 'a\\" } do
            assert.is_true(chunk.is_incomplete(text .. "\n"), text)
        end
        for _, text in ipairs { "", "x", "x = 1", "end", "x = 'a", "return", "1 +* 2", "-- c", "f()" } do
            assert.is_false(chunk.is_incomplete(text .. "\n"), text)
        end
    end)

    it("names the line of what an expression raises", function()
        for _, text in ipairs { "layers.Dense { 3, activaton = 1 }", "layers.Dense { 3, activaton = 1 };" } do
            session:compile("local layers = ...").run(moth.layers)
            local fine, problem = pcall(session:compile(text).run)
            assert.is_false(fine)
            assert.matches("^stdin:1: Dense: unknown option", problem)
        end
        assert.same({ 1, nil, 3, n = 3 }, table.pack(session:compile("1, nil, 3 -- three").run()))
    end)

    it("is silent after a semicolon", function()
        assert.is_true(session:compile("1;").is_silent)
        assert.is_false(session:compile("1").is_silent)
    end)

    it("runs a hundred thousand lines without growing #slow", function()
        run "local kept = {}"
        local function lines(count)
            for i = 1, count do
                run("kept[1] = { " .. i .. " }")
            end
            collectgarbage()
            return collectgarbage "count"
        end
        local before = lines(1000)
        assert.is_true(lines(100000) - before < 64) -- KiB
    end)
end)

describe("Enter", function()
    local function press(text, cursor)
        local new, at, _, runs = edit.enter(text, cursor or #text)
        return runs and "run" or new, at
    end

    it("runs what is complete, else goes on indented", function()
        assert.equal("run", press "x = 1")
        assert.same({ "for i = 1, 2 do\n    ", 20 }, { press "for i = 1, 2 do" })
        assert.equal("f({\n    ", press "f({")
        assert.equal("function f()\n    if x then\n        ", press "function f()\n    if x then")
    end)

    it("moves a line that closes a block back", function()
        assert.equal("do\n    if x then\n        y()\n    else\n        ",
            press "do\n    if x then\n        y()\n        else")
        assert.equal("do\n    if x then\n    end\n    ", press "do\n    if x then\n        end")
        assert.equal("f {\n    a = {\n    },\n    ", press "f {\n    a = {\n        },")
        local text = edit.enter("for i = 1, 2 do\n    print(i)\n    end", 39)
        assert.equal("for i = 1, 2 do\n    print(i)\nend", text)
    end)

    it("adds and moves nothing in what is pasted", function()
        assert.equal("for i = 1, 2 do\n", (edit.enter("for i = 1, 2 do", 15, true)))
        assert.equal("do\n    x = {\n    }\n", (edit.enter("do\n    x = {\n    }", 18, true)))
        assert.is_true(select(4, edit.enter("x = 1", 5, true)))
    end)

    it("adds no blanks inside a long string", function()
        assert.equal("s = [[\n", press "s = [[")
        assert.equal("do s = [[\n    a\n", press "do s = [[\n    a")
    end)

    it("breaks the line at the cursor", function()
        assert.same({ "f(1,\n    \n2", 9 }, { press("f(1,\n2", 4) })
    end)
end)

describe("colours", function()
    it("are one style for each byte", function()
        local text = "local s = 'a' -- é\nreturn nil, 0x1F"
        local classes = highlight.classes(text)
        assert.equal(#text, #classes)
        assert.equal("kkkkk     sss cc", classes:sub(1, 16))
        assert.equal("kkkkkk nnn  nnnn", classes:sub(-16))
    end)

    it("mark the bracket that belongs to the one before the cursor", function()
        assert.equal(" m      m", highlight.classes("f((a), b)", 9))
        assert.is_nil(highlight.classes("f(a]", 4):find "m")
    end)

    it("are left out for texts that are too long", function()
        assert.is_nil(highlight.classes(("x"):rep(100000)))
    end)
end)
