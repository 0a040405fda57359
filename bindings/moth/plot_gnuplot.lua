--- Figures as SVG, PNG and PDF, drawn by gnuplot.
-- gnuplot is asked for only when a file is to be written. It gets one temporary script that holds the data; every text
-- is quoted so that gnuplot takes it as text; the picture is written beside the wanted file and renamed when gnuplot
-- says that all went well.

local files = require "moth.files"
local options = require "moth.options"
local plot_cells = require "moth.plot_cells"
local plot_curves = require "moth.plot_curves"
local plot_script = require "moth.plot_script"
local plot_svg = require "moth.plot_svg"
local plot_text = require "moth.plot_text"

local plot_gnuplot = {}

local INK, MARGINS = plot_script.INK, plot_script.MARGINS
local PANEL_WIDTH, PANEL_HEIGHT = 640, 400
local SMALL_WIDTH, SMALL_HEIGHT = 460, 340
local TITLE, LABEL = 16, 13 -- of texts, in pixels

local drawers = { xy = plot_curves.draw, heatmap = plot_cells.heatmap, images = plot_cells.images }
local sizes = { heatmap = plot_cells.heatmap_size, images = plot_cells.images_size }

-- The size of a panel that nobody chose, in pixels of 1/96 inch.
local function panel_size(panel, panels)
    local size = sizes[panel.kind]
    if size then
        return size(panel)
    elseif panels > 1 then
        return SMALL_WIDTH, SMALL_HEIGHT
    end
    return PANEL_WIDTH, PANEL_HEIGHT
end

local function figure_size(figure)
    local width, height = 0, 0
    for _, panel in ipairs(figure.panels) do
        local w, h = panel_size(panel, #figure.panels)
        width, height = math.max(width, w), math.max(height, h)
    end
    local across = figure.columns or 1
    local down = math.ceil(#figure.panels / across)
    return figure.width or width * across, figure.height or height * down + (figure.title and 34 or 0), across, down
end

local function set_terminal(script, kind, width, height)
    if kind == "svg" then
        script:add("set terminal svg size %d,%d noenhanced font 'sans-serif,13' standalone background rgb 'white'",
            width, height)
    elseif kind == "png" then
        -- Twice the pixels: sharp on any screen and on paper.
        script:add("set terminal pngcairo size %d,%d noenhanced font 'Sans,10' fontscale 2 linewidth 2 pointscale 2",
            width * 2, height * 2)
    else
        script:add("set terminal pdfcairo size %.4fin,%.4fin noenhanced font 'Sans,10' fontscale 1", width / 96,
            height / 96)
    end
end

-- gnuplot puts a legend above the title of its plot, and centres the title over the cells of a heat map; the title of a
-- multiplot is on top and in the middle.
local function needs_multiplot(figure)
    local panel = figure.panels[1]
    return #figure.panels > 1
        or figure.title and (panel.kind == "heatmap" or panel.kind == "xy" and panel.series[1].label)
end

-- The text and look of a title or label that has `room` pixels.
local function fitted(script, text, room, size)
    local shown, fits = plot_text.fit(text, room, size)
    return ("%s %s textcolor rgb '%s'"):format(plot_script.quote(shown), script:font(fits), INK)
end

local function label_of(script, name, text, room, size)
    return text and ("set %s %s"):format(name, fitted(script, text, room, size)) or "unset " .. name
end

--- The gnuplot script of a figure.
---@param figure table
---@param kind "svg"|"png"|"pdf"
---@param output string  the file that gnuplot is to write
---@return string
function plot_gnuplot.script(figure, kind, output)
    local script = plot_script.new(kind)
    local width, height, across, down = figure_size(figure)
    script:add("set encoding utf8")
    set_terminal(script, kind, width, height)
    script:add("set output %s", plot_script.quote(output))
    script:add("set tics nomirror out scale 0.5 textcolor rgb '%s'", INK)
    local single = not needs_multiplot(figure)
    if not single then
        local title = figure.title and "title " .. fitted(script, figure.title, width, TITLE) or ""
        script:add("set multiplot layout %d,%d %s", down, across, title)
    end
    for _, panel in ipairs(figure.panels) do
        local title = panel.title or single and figure.title or nil
        local panel_width, panel_height = width / across, height / down
        script:add("%s", label_of(script, "title", title, panel_width - MARGINS / 2, TITLE))
        script:add("%s", label_of(script, "xlabel", panel.xlabel, panel_width - MARGINS, LABEL))
        script:add("%s", label_of(script, "ylabel", panel.ylabel, panel_height - MARGINS / 2, LABEL))
        drawers[panel.kind](script, panel, panel_width, panel_height)
    end
    script:add(single and "unset output" or "unset multiplot; unset output")
    return table.concat(script.lines, "\n") .. "\n"
end

local function run(script_path)
    local pipe = io.popen("LC_ALL=C gnuplot -d " .. files.quote(script_path) .. " 2>&1")
    local output = pipe:read("a")
    local done, _, code = pipe:close()
    return done, code, output
end

-- Files that go when the block ends, however it ends.
local scratch = { __close = function(names)
    for _, name in ipairs(names) do
        os.remove(name)
    end
end }

-- How a whole file ends: where a disk is full gnuplot stops in the middle and says nothing.
local endings = { svg = "</svg>%s*$", png = "IEND....$", pdf = "%%%%EOF%s*$" }

-- What gnuplot makes of a figure, as the bytes of a file.
local function draw(figure, kind, path)
    local names <close> = setmetatable({ os.tmpname(), os.tmpname() }, scratch)
    files.write(names[1], plot_gnuplot.script(figure, kind, names[2]))
    local done, code, output = run(names[1])
    local bytes = files.read(names[2])
    if code == 127 then
        options.fail("plot: gnuplot draws the files, and it is not installed (apt install gnuplot-nox); "
            .. "without a file the plot is drawn in the terminal")
    elseif not done or not bytes:find(endings[kind]) then
        -- One that succeeded has at most warnings to say.
        output = done and "its output is cut off; is the disk full?" or output
        local reason = output:gsub("%s+", " "):gsub("^ ", ""):sub(1, 300)
        options.fail(("plot: gnuplot could not write %s: %s"):format(options.show(path), options.show(reason)))
    end
    return bytes
end

--- Writes a figure; the ending of the name chooses the format.
---@param figure table
---@param path string
function plot_gnuplot.write(figure, path)
    local kind = path:match("%.(%w+)$"):lower()
    files.make_parent(path)
    local bytes = draw(figure, kind, path)
    files.write(path, kind == "svg" and plot_svg.tidy(bytes, figure.title) or bytes)
end

return plot_gnuplot
